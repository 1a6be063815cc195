-- ARGV: shift, gap, lease, consumer, limit, limit of those that would be suspects next, unanswered
-- deliveries of a suspect, '1' if the consumer holds nothing else.
-- Returns whether suspects wait for a consumer that is alone, then the jobs.
pulse(tonumber(ARGV[2]), ARGV[3])
ensure_group()
if is_paused() or redis.call('EXISTS', base .. ':grace') == 1 then
  return {0}
end
local lease, consumer, limit, few = ARGV[3], ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])
local suspect_after, alone = tonumber(ARGV[7]), ARGV[8] == '1'
local PAGE, PAGES = 1000, 20
local some, wary, suspect, pages = {}, {}, nil, 0

local from = '-'
repeat
  local page = redis.call('XPENDING', stream, group, 'IDLE', lease, from, '+', PAGE)
  for _, held in ipairs(page) do
    if held[2] == READY then
      -- Given back, not expired.
    elseif held[4] >= suspect_after then
      if not suspect or held[3] > suspect[3] then
        suspect = held
      end
    elseif held[4] == suspect_after - 1 then
      wary[#wary + 1] = held
    else
      some[#some + 1] = held
    end
  end
  if #page > 0 then
    from = '(' .. page[#page][1]
  end
  pages = pages + 1
until #page < PAGE or #some >= limit or pages >= PAGES

if suspect and alone then
  return {0, claim(consumer, suspect[1], suspect[4] + 1)}
end

-- Those whose leases ran out first are taken, and handed out in the order in which they waited.
local taken = {}
local function take(held, most)
  table.sort(held, function(a, b) return a[3] > b[3] end)
  for i = 1, math.min(#held, most) do
    local ms, number = string.match(held[i][1], '^(%d+)-(%d+)$')
    taken[#taken + 1] = {tonumber(ms), tonumber(number), held[i]}
  end
end
take(some, limit)
take(wary, math.min(limit - #taken, few))
table.sort(taken, function(a, b) return a[1] < b[1] or (a[1] == b[1] and a[2] < b[2]) end)

local answer = {suspect and 1 or 0}
for _, at in ipairs(taken) do
  answer[#answer + 1] = claim(consumer, at[3][1], at[3][4] + 1)
end
return answer
