-- Runs jobs again after a delay. ARGV: shift, consumer, then for each: entry, delivery, delay in
-- ms, errors.
for i = 3, #ARGV, 4 do
  local entry = ARGV[i]
  if holds(ARGV[2], entry, ARGV[i + 1]) then
    local found = redis.call('XRANGE', stream, entry, entry)[1]
    if found then
      local job = fields_of(found[2])
      -- It stays known since when it is queued.
      if not string.find(job, '^%x+ a%d') then
        job = id_of(job) .. ' a' .. string.match(entry, '^%d+') .. string.sub(job, 33)
      end
      add_later(now + tonumber(ARGV[i + 2]), job, ARGV[i + 3])
    end
    redis.call('XACK', stream, group, entry)
    redis.call('XDEL', stream, entry)
  end
end
return 0
