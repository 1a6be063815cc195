-- ARGV: shift, ms after which a consumer counts as gone.
-- Returns of each consumer its name, how long ago it was heard of, and what it said of itself.
local found = {}
local since = '(' .. int(now - tonumber(ARGV[2]))
local seen = redis.call('ZRANGEBYSCORE', base .. ':consumers', since, '+inf', 'WITHSCORES')
for i = 1, #seen, 2 do
  local age = now - tonumber(seen[i + 1])
  found[#found + 1] = {seen[i], age, redis.call('HGET', base .. ':about', seen[i])}
end
return found
