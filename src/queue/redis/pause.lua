-- ARGV: shift, '1' to pause, '0' to go on.
if ARGV[2] == '1' then
  redis.call('SET', base .. ':paused', int(now), 'NX')
else
  redis.call('DEL', base .. ':paused')
end
return 0
