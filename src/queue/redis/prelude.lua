-- Before every script. KEYS[1] is a queue's common prefix; all its keys share the hash tag in it.
local base = KEYS[1]
local stream, group = base .. ':stream', 'workers'
local delayed, ids, replays = base .. ':delayed', base .. ':ids', base .. ':replays'
local READY, SUSPECT = ':ready', ':suspect'

-- The server's clock in milliseconds.
local clock = redis.call('TIME')
clock = clock[1] * 1000 + math.floor(clock[2] / 1000)

-- `now` is the clock as moved by `shift`; tests move it, and entries' ids with it.
local shift = tonumber(ARGV[1])
local now = clock + shift
local new_id = '*'
if shift ~= 0 then
  new_id = string.format('%.0f-*', now)
end

-- A number as the server writes it: without an exponent.
local function int(n)
  return string.format('%.0f', n)
end

-- The clock was ahead and went back: what waits was put off by it, and who was heard of was so by it. A
-- delivery that it dated looks as if it were made just now, for as long as the clock was ahead: it is dated
-- anew.
local function put_back(by)
  for _, key in ipairs({delayed, base .. ':consumers'}) do
    local ahead = redis.call('ZRANGEBYSCORE', key, '(' .. int(now), '+inf', 'WITHSCORES')
    for i = 1, #ahead, 2 do
      redis.call('ZADD', key, int(math.max(now, tonumber(ahead[i + 1]) - by)), ahead[i])
    end
  end
  local from, PAGE = '-', 1000
  repeat
    local page = redis.pcall('XPENDING', stream, group, from, '+', PAGE)
    if page.err then
      return
    end
    for _, held in ipairs(page) do
      if held[3] == 0 then
        redis.call('XCLAIM', stream, group, held[2], 0, held[1], 'JUSTID')
      end
    end
    if #page > 0 then
      from = '(' .. page[#page][1]
    end
  until #page < PAGE
end

-- Nobody was heard of for longer than `gap`: the server was away or hung, so nobody could extend
-- a lease. Nothing is taken over for one more lease.
local function pulse(gap, lease)
  local last = redis.call('MGET', base .. ':pulse', base .. ':latest')
  local heard, latest = tonumber(last[1] or nil), tonumber(last[2] or nil)
  if heard and clock - heard > gap then
    redis.call('SET', base .. ':grace', '1', 'PX', lease)
  end
  -- A clock that is set right goes back by less.
  local is_back = latest and latest - now > 5000
  if is_back then
    put_back(latest - now)
  end
  if is_back or not heard or clock - heard > 500 or clock < heard then
    redis.call('MSET', base .. ':pulse', int(clock), base .. ':latest', int(now))
  end
end

-- The group is gone after FLUSHALL or a restart without its data, and was never there at first.
local function ensure_group()
  local found = redis.pcall('XPENDING', stream, group, '-', '+', 1)
  if found.err then
    redis.pcall('XGROUP', 'CREATE', stream, group, '0', 'MKSTREAM')
  end
end

local function is_paused()
  return redis.call('EXISTS', base .. ':paused') == 1
end

-- The job (header, newline, payload) and the errors in an entry's fields.
local function fields_of(fields)
  local job, errors = '', ''
  for i = 1, #fields, 2 do
    if fields[i] == 'j' then job = fields[i + 1] elseif fields[i] == 'e' then errors = fields[i + 1] end
  end
  return job, errors
end

-- A job's header begins with its id.
local function id_of(job)
  return string.sub(job, 1, 32)
end

-- How often the job was replayed, as its header says.
local function replay_of(job)
  local header = string.match(job, '^[^\n]*')
  return tonumber(string.match(header, '^%x+ r(%d+)') or string.match(header, '^%x+ a%d+ r(%d+)')) or 0
end

-- Keeps the job's id; whether the job is to be queued: nothing is under its id, or what was left over
-- from before it was replayed.
local function keep_id(job)
  local id, replay = id_of(job), replay_of(job)
  local is_new = redis.call('SADD', ids, id) == 1
  if not is_new and replay <= tonumber(redis.call('HGET', replays, id) or 0) then
    return false
  end
  if replay > 0 then
    redis.call('HSET', replays, id, replay)
  elseif is_new then
    redis.call('HDEL', replays, id)
  end
  return true
end

local function add(job, errors)
  local fields = {'j', job}
  if errors ~= '' then
    fields = {'j', job, 'e', errors}
  end
  -- Ids that the server gives go on where its clock goes back; those of tests do so then, too.
  if new_id == '*' or redis.pcall('XADD', stream, new_id, unpack(fields)).err then
    redis.call('XADD', stream, '*', unpack(fields))
  end
end

local function add_later(due, job, errors)
  redis.call('ZADD', delayed, int(due), cmsgpack.pack({job, errors}))
end

-- Whether this consumer still holds this delivery; nobody holds anything if the group is gone.
local function holds(consumer, entry, delivery)
  local found = redis.pcall('XPENDING', stream, group, entry, entry, 1)
  if found.err or not found[1] then
    return false
  end
  return found[1][2] == consumer and found[1][4] == tonumber(delivery)
end

-- Moves what is due to the stream, at most `limit`; returns how many.
local function promote(limit)
  local due = redis.call('ZRANGEBYSCORE', delayed, '-inf', int(now), 'LIMIT', 0, limit)
  for _, packed in ipairs(due) do
    local readable, job = pcall(cmsgpack.unpack, packed)
    if readable and type(job) == 'table' and type(job[1]) == 'string' and type(job[2]) == 'string' then
      add(job[1], job[2])
    else
      -- Nobody's: who fetches it cannot read it either, and keeps its bytes as a dead letter.
      add(packed, '')
    end
    redis.call('ZREM', delayed, packed)
  end
  return #due
end

-- Takes an entry for a consumer, as its `delivery`th; nil if the entry is gone.
local function claim(consumer, entry, delivery)
  local got = redis.call('XCLAIM', stream, group, consumer, 0, entry, 'RETRYCOUNT', delivery)[1]
  if got then
    local job, errors = fields_of(got[2])
    return {got[1], job, errors, delivery}
  end
end
