-- ARGV: token, mark. Marks the set as built, unless another began after us or the epoch is another.
if ARGV[2] ~= mark or not redis.call('ZSCORE', KEYS[1], ARGV[1]) then
  return 0
end
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('ZADD', KEYS[1], '-inf', mark)
return 1
