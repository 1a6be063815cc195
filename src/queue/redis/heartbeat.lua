-- ARGV: shift, consumer, ms after which a consumer counts as gone. A consumer is forgotten only
-- with nothing pending.
local seen = base .. ':consumers'
redis.call('ZADD', seen, int(now), ARGV[2])
redis.call('ZREMRANGEBYSCORE', seen, '-inf', int(now - tonumber(ARGV[3])))
local known = redis.pcall('XINFO', 'CONSUMERS', stream, group)
if known.err then
  return 0
end
for _, flat in ipairs(known) do
  local of = {}
  for i = 1, #flat, 2 do
    of[flat[i]] = flat[i + 1]
  end
  local gone = of.idle > tonumber(ARGV[3]) and not redis.call('ZSCORE', seen, of.name)
  if gone and of.pending == 0 then
    redis.call('XGROUP', 'DELCONSUMER', stream, group, of.name)
  end
end
return 0
