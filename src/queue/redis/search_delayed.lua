-- ARGV: shift, what is looked for, how many to pass over, how many to look at; those due last first.
-- Returns how many there were, then what was found, each with the time at which it is due.
local from = tonumber(ARGV[3])
local page = redis.call('ZREVRANGE', delayed, from, from + tonumber(ARGV[4]) - 1, 'WITHSCORES')
local answer = {#page / 2}
for i = 1, #page, 2 do
  local readable, job = pcall(cmsgpack.unpack, page[i])
  if readable and type(job) == 'table' and type(job[1]) == 'string' and string.find(job[1], ARGV[2], 1, true) then
    local due = tonumber(page[i + 1])
    answer[#answer + 1] = {due, {int(due) .. '-0', job[1], job[2], 0}}
  end
end
return answer
