-- Claims ticks of schedules and pushes their jobs; returns how many. ARGV: shift, then for each schedule: name, tick,
-- the job. A tick that lies further ahead than the next one was claimed by a clock that was wrong.
local ticks, claimed = base .. ':ticks', 0
for i = 2, #ARGV, 3 do
  local name, tick, job = ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2]
  local last = tonumber(redis.call('HGET', ticks, name) or nil)
  if not last or last < tick or last > tick + 1 then
    redis.call('HSET', ticks, name, ARGV[i + 1])
    if keep_id(job) then
      add(job, '')
    end
    claimed = claimed + 1
  end
end
return claimed
