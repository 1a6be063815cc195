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
local PAGE = 1000
local some, wary, suspect = {}, {}, nil

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
until #page < PAGE or #some >= limit

if suspect and alone then
  return {0, claim(consumer, suspect[1], suspect[4] + 1)}
end
local answer = {suspect and 1 or 0}
local function take(held, most)
  local oldest_first = function(a, b) return a[3] > b[3] end
  table.sort(held, oldest_first)
  for i = 1, math.min(#held, most) do
    answer[#answer + 1] = claim(consumer, held[i][1], held[i][4] + 1)
  end
end
take(some, limit)
take(wary, math.min(limit - math.min(#some, limit), few))
return answer
