// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check.races;

import java.util.List;

/** A step that is about to be made, as a strategy sees it. */
interface Moment {
  /** Its number in the run, from 0; step 0 is the choice of the CPU that begins. */
  int step();

  /** The CPU that is about to make it; -1 when that CPU waits or has ended, or none ran yet. */
  int cpu();

  /** The CPUs that can run, by number; never empty. */
  List<Integer> ready();

  /** Whether another CPU could notice the order of this step and its own. */
  boolean shared();

  /** Whether the CPU has stores that others do not see. */
  boolean stores();
}
