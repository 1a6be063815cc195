-- Before new jobs are read: makes due jobs ready and hands out what was given back.
-- ARGV: shift, gap, lease, consumer, limit, promotions at most.
-- Returns whether new jobs may be read, then the jobs that were given back.
pulse(tonumber(ARGV[2]), ARGV[3])
ensure_group()
if is_paused() then
  return {0}
end
promote(ARGV[6])
local answer = {1}
for _, given in ipairs(redis.call('XPENDING', stream, group, '-', '+', ARGV[5], READY)) do
  answer[#answer + 1] = claim(ARGV[4], given[1], given[4] + 1)
end
return answer
