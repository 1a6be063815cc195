-- ARGV: shift, ms. Whether nobody has had the turn to look for expired leases for so long.
if redis.call('SET', base .. ':turn', 1, 'NX', 'PX', ARGV[2]) then
  return 1
end
return 0
