-- Gives jobs back as if they had not been delivered. A suspect stays one: it counts as expired at
-- once, and so is handed out only alone.
-- ARGV: shift, consumer, lease, unanswered deliveries of a suspect, then for each: entry, delivery.
for i = 5, #ARGV, 2 do
  local entry, delivery = ARGV[i], tonumber(ARGV[i + 1])
  if holds(ARGV[2], entry, delivery) then
    local keeper = READY
    if delivery > tonumber(ARGV[4]) then
      keeper = SUSPECT
    end
    redis.call('XCLAIM', stream, group, keeper, 0, entry, 'IDLE', ARGV[3], 'RETRYCOUNT', delivery - 1, 'JUSTID')
  end
end
return 0
