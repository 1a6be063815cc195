-- ARGV: ms that a set lives, ms that members are kept, most members, then for each set: how many
-- members, and score and member of each. A set that is not there is not built just now: whoever builds
-- it will find in the rows what is left out here.
local clock = redis.call('TIME')
local oldest = string.format('(%.0f', clock[1] * 1000 - tonumber(ARGV[2]))
local at = 4
for _, set in ipairs(KEYS) do
  local n = tonumber(ARGV[at])
  if redis.call('EXISTS', set) == 1 then
    -- The earliest time that was ever told is the one that counts.
    redis.call('ZADD', set, 'LT', unpack(ARGV, at + 1, at + 2 * n))
    redis.call('PEXPIRE', set, ARGV[1], 'NX')
    redis.call('ZREMRANGEBYSCORE', set, '(-inf', oldest)
    local marks = redis.call('ZCOUNT', set, '-inf', '-inf')
    local excess = redis.call('ZCARD', set) - marks - tonumber(ARGV[3])
    if excess > 0 then
      redis.call('ZREMRANGEBYRANK', set, marks, marks + excess - 1)
    end
  end
  at = at + 2 * n + 1
end
return 0
