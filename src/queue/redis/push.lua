-- ARGV: shift, then for each job: delay in ms, '1' if its id may be queued already, header, payload.
for i = 2, #ARGV, 4 do
  local delay, named, h, p = tonumber(ARGV[i]), ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  if named ~= '1' or redis.call('SADD', ids, string.sub(h, 1, 32)) == 1 then
    if delay > 0 then
      add_later(now + delay, h, p, '')
    else
      add(h, p, '')
    end
  end
end
return 0
