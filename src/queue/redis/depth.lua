-- ARGV: shift, ms after which a consumer counts as gone, an epoch to take if there is none.
-- Returns ready, delayed, in flight, age of the oldest ready job (-1: none), workers, since when the
-- queue is paused (0: it is not), epoch.
local epoch = redis.call('GET', base .. ':epoch')
if not epoch then
  epoch = ARGV[3]
  redis.call('SET', base .. ':epoch', epoch)
end

local pending, given_back, oldest = 0, 0, nil
local summary = redis.pcall('XPENDING', stream, group)
if not summary.err then
  pending = summary[1]
  for _, of in ipairs(summary[4] or {}) do
    if of[1] == READY then
      given_back = tonumber(of[2])
      oldest = redis.call('XPENDING', stream, group, '-', '+', 1, READY)[1][1]
    end
  end
end

local length = redis.call('XLEN', stream)
if length > pending then
  local last = '0-0'
  if not summary.err then
    for _, flat in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
      local of = {}
      for i = 1, #flat, 2 do of[flat[i]] = flat[i + 1] end
      if of.name == group then last = of['last-delivered-id'] end
    end
  end
  local first = redis.call('XRANGE', stream, '(' .. last, '+', 'COUNT', 1)[1]
  if first and not oldest then
    oldest = first[1]
  end
end
local since = oldest and tonumber(string.match(oldest, '^%d+'))

local due = redis.call('ZCOUNT', delayed, '-inf', int(now))
if due > 0 then
  local first = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')
  since = math.min(since or now, tonumber(first[2]))
end
return {
  math.max(length - pending, 0) + given_back + due,
  redis.call('ZCARD', delayed) - due,
  pending - given_back,
  since and math.max(now - since, 0) or -1,
  redis.call('ZCOUNT', base .. ':consumers', '(' .. int(now - tonumber(ARGV[2])), '+inf'),
  tonumber(redis.call('GET', base .. ':paused') or 0),
  epoch,
}
