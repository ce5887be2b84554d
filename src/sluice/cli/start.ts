import { main } from "./main";

/** What `bin/sluice` starts. */

declare const arg: string[];

os.exit(main(arg), true);
