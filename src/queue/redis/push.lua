-- ARGV: shift, then for each job: delay in ms, '1' if its id may be queued already, the job.
for i = 2, #ARGV, 3 do
  local delay, named, job = tonumber(ARGV[i]), ARGV[i + 1], ARGV[i + 2]
  if named ~= '1' or keep_id(job) then
    if delay > 0 then
      add_later(now + delay, job, '')
    else
      add(job, '')
    end
  end
end
return 0
