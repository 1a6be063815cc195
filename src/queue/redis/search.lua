-- ARGV: shift, what is looked for, the entry to look below ('+': from the newest), how many entries.
-- Returns the last entry that was looked at ('': there are no more), then what was found, each with
-- whether a consumer holds it.
local page = redis.call('XREVRANGE', stream, ARGV[3], '-', 'COUNT', ARGV[4])
local answer = {#page > 0 and page[#page][1] or ''}
for _, entry in ipairs(page) do
  local job, errors = fields_of(entry[2])
  if string.find(job, ARGV[2], 1, true) then
    local held = redis.pcall('XPENDING', stream, group, entry[1], entry[1], 1)
    local is_held = not held.err and held[1] and held[1][2] ~= READY
    answer[#answer + 1] = {entry[1], job, errors, is_held and 1 or 0}
  end
end
return answer
