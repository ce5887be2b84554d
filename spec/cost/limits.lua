-- How many times the interpreter's instructions for a byte of prose one of any text may take. The search has found somewhat more than three
-- times as many: a loop within the loop over a text takes far more.
return { MOST_INSTRUCTIONS = 5 }
