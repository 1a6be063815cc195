-- ARGV: token, mark. Marks the set as built, unless it was emptied or the server ended meanwhile.
local set = KEYS[1]
if ARGV[2] ~= mark or not redis.call('ZSCORE', set, '?' .. mark .. ARGV[1]) then
  return 0
end
redis.call('ZREMRANGEBYSCORE', set, '-inf', '-inf')
redis.call('ZADD', set, '-inf', mark)
return 1
