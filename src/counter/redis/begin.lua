-- Makes a set ready to be built by whoever has this token. The first empties it; who comes while
-- another builds leaves what is there: since then everything that is committed is added.
-- ARGV: token, ms that a set lives. Returns the mark to be written, or nothing if it is trusted.
local set = KEYS[1]
if redis.call('ZSCORE', set, mark) then
  return false
end
local token, is_built = '?' .. mark .. ARGV[1], false
for _, member in ipairs(redis.call('ZRANGEBYSCORE', set, '-inf', '-inf')) do
  if string.sub(member, 1, #mark + 1) == '?' .. mark then
    is_built = true
  end
end
if not is_built then
  redis.call('DEL', set)
end
redis.call('ZADD', set, '-inf', token)
redis.call('PEXPIRE', set, ARGV[2], 'NX')
return mark
