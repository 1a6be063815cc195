-- Removes jobs whose ids are kept. ARGV: shift, then for each: entry, id.
for i = 2, #ARGV, 2 do
  redis.call('XACK', stream, group, ARGV[i])
  if redis.call('XDEL', stream, ARGV[i]) == 1 then
    redis.call('SREM', ids, ARGV[i + 1])
  end
end
return 0
