-- Removes jobs whose ids are kept. ARGV: shift, then for each: entry, id, how often it was replayed.
for i = 2, #ARGV, 3 do
  local entry, id, replay = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2])
  redis.call('XACK', stream, group, entry)
  -- What was replayed since is queued under the same id.
  if redis.call('XDEL', stream, entry) == 1 and replay >= tonumber(redis.call('HGET', replays, id) or 0) then
    redis.call('SREM', ids, id)
    redis.call('HDEL', replays, id)
  end
end
return 0
