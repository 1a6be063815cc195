-- Holds jobs for another lease. ARGV: shift, consumer, then for each: entry, delivery.
-- Returns the positions of those that are still held, from 1.
local held = {}
for i = 3, #ARGV, 2 do
  if holds(ARGV[2], ARGV[i], ARGV[i + 1]) then
    if redis.call('XCLAIM', stream, group, ARGV[2], 0, ARGV[i], 'JUSTID')[1] then
      held[#held + 1] = (i - 1) / 2
    end
  end
end
return held
