-- ARGV: shift, gap, lease, limit. Returns how many became ready.
pulse(tonumber(ARGV[2]), ARGV[3])
return promote(ARGV[4])
