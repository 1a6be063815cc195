-- Before every script. The last key is the epoch's; the others are sorted sets.
-- A set is trusted if it holds this mark: it was built under this epoch, in this run of the server.
-- A server that starts again may have lost the last second, and so trusts nothing it had before.
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local mark = '!' .. run .. ':' .. (redis.call('GET', KEYS[#KEYS]) or '')
local sets = #KEYS - 1
