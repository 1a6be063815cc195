-- ARGV: ms that a set lives, ms of the oldest that is kept, most members, then for each set: how
-- many members, and score and member of each.
local at = 4
for i = 1, sets do
  local set, n = KEYS[i], tonumber(ARGV[at])
  -- The earliest time that was ever told is the one that counts.
  redis.call('ZADD', set, 'LT', unpack(ARGV, at + 1, at + 2 * n))
  at = at + 2 * n + 1
  redis.call('PEXPIRE', set, ARGV[1], 'NX')
  redis.call('ZREMRANGEBYSCORE', set, '(-inf', '(' .. ARGV[2])
  local marks = redis.call('ZCOUNT', set, '-inf', '-inf')
  local excess = redis.call('ZCARD', set) - marks - tonumber(ARGV[3])
  if excess > 0 then
    redis.call('ZREMRANGEBYRANK', set, marks, marks + excess - 1)
  end
end
return 0
