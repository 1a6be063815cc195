-- ARGV: shift, consumer, ms after which a consumer counts as gone, what the consumer says of itself.
-- A consumer is forgotten at once, and the group's entry for it only with nothing pending.
local seen, about, FORGOTTEN = base .. ':consumers', base .. ':about', 1000
redis.call('ZADD', seen, int(now), ARGV[2])
redis.call('HSET', about, ARGV[2], ARGV[4])
local last = int(now - tonumber(ARGV[3]))
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', seen, '-inf', last, 'LIMIT', 0, FORGOTTEN)) do
  redis.call('ZREM', seen, gone)
  redis.call('HDEL', about, gone)
end
local known = redis.pcall('XINFO', 'CONSUMERS', stream, group)
if known.err then
  return 0
end
for _, flat in ipairs(known) do
  local of = {}
  for i = 1, #flat, 2 do
    of[flat[i]] = flat[i + 1]
  end
  -- One that works and was not heard of yet loses nothing: its next fetch makes it known again.
  if of.pending == 0 and not redis.call('ZSCORE', seen, of.name) then
    redis.call('XGROUP', 'DELCONSUMER', stream, group, of.name)
  end
end
return 0
