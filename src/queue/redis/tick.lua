-- Claims a schedule's tick and pushes its job. ARGV: shift, name, tick, the job.
local ticks = base .. ':ticks'
local last = tonumber(redis.call('HGET', ticks, ARGV[2]) or nil)
if last and last >= tonumber(ARGV[3]) then
  return 0
end
redis.call('HSET', ticks, ARGV[2], ARGV[3])
if keep_id(ARGV[4]) then
  add(ARGV[4], '')
end
return 1
