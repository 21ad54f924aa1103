// SPDX-License-Identifier: GPL-2.0-only
/**
 * What a machine shows of its memmap, read from outside.
 *
 * <p>The idea: nothing here believes a counter. Page tables are walked in simulated memory, struct
 * pages are read through the memmap that those tables map, sections and zones are read from the
 * structures that the ported code keeps. So what a reader sees here is what the kernel really
 * built, and it can be held against the counters ({@link org.vmemmap.lab.observe.Invariants}) and
 * against a captured kernel (package {@code cases}).
 *
 * <p>Nothing here changes the machine. Reading struct pages fills the translation cache of the CPU
 * that runs, as reading does on hardware; walks read physical memory and leave no trace.
 */
@NullMarked
package org.vmemmap.lab.observe;

import org.jspecify.annotations.NullMarked;
