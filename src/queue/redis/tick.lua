-- Claims a schedule's tick and pushes its job. ARGV: shift, name, tick, the job. A tick that lies
-- further ahead than the next one was claimed by a clock that was wrong.
local ticks = base .. ':ticks'
local last, tick = tonumber(redis.call('HGET', ticks, ARGV[2]) or nil), tonumber(ARGV[3])
if last and last >= tick and last <= tick + 1 then
  return 0
end
redis.call('HSET', ticks, ARGV[2], ARGV[3])
if keep_id(ARGV[4]) then
  add(ARGV[4], '')
end
return 1
