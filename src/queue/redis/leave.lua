-- Forgets a consumer; the group's entry for it only with nothing pending. ARGV: shift, consumer.
redis.call('ZREM', base .. ':consumers', ARGV[2])
redis.call('HDEL', base .. ':about', ARGV[2])
local pending = redis.pcall('XPENDING', stream, group, '-', '+', 1, ARGV[2])
if not pending.err and #pending == 0 then
  redis.call('XGROUP', 'DELCONSUMER', stream, group, ARGV[2])
end
return 0
