-- ARGV: the windows' edges, which are out. Returns the counts of each set, -1 if it is not trusted.
local counts = {}
for _, set in ipairs(KEYS) do
  local trusted = redis.call('ZSCORE', set, mark)
  for _, edge in ipairs(ARGV) do
    counts[#counts + 1] = trusted and redis.call('ZCOUNT', set, '(' .. edge, '+inf') or -1
  end
end
return counts
