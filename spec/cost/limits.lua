-- The most of the interpreter's instructions that a byte of any text may take, as a multiple of prose. The search has found somewhat more than three
-- times as many: a loop within the loop over a text takes far more.
return { MOST_INSTRUCTIONS = 5 }
