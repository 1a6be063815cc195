-- Empties a set that is not trusted, so that it can be built anew by whoever has this token.
-- ARGV: token, ms that a set lives. Returns the mark to be written, or nothing if it is trusted.
if redis.call('ZSCORE', KEYS[1], mark) then
  return false
end
redis.call('DEL', KEYS[1])
redis.call('ZADD', KEYS[1], '-inf', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return mark
