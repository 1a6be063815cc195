-- Removes jobs, in one step: where memory is full a transaction is refused, and a script is not.
-- ARGV: shift, entries.
redis.call('XACK', stream, group, unpack(ARGV, 2))
redis.call('XDEL', stream, unpack(ARGV, 2))
return 0
