// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.observe;

import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.lab.boot.Profile;

/**
 * Where the kernel of an architecture does not keep a rule that others keep.
 *
 * <ul>
 *   <li>powerpc: a leaf, a bolted block or, with 64K pages, a single page serves the memmap of
 *       several sections. Each section counts what it would need alone, in whole pages, so the
 *       counters are not the number of frames. They still are the sum over the sections.
 *   <li>A struct page whose size is no power of two: the memmap of a section does not end with a
 *       leaf, so neighbours share one, and the memory behind the last is in nobody's count. Here,
 *       too, the counters are the sum over the sections.
 *   <li>powerpc: a page-table page is cut into smaller tables, and those of the pud level come from
 *       slabs. A page goes back when all its tables have been handed out and freed, so there may be
 *       pages without a table in use.
 *   <li>arm64 with pages larger than 4K: neighbouring devices share a page of memmap, and the first
 *       that goes takes it away from the other.
 *   <li>x86: tables of the pud level are never freed with 4 levels, and those of the p4d level are
 *       never freed with 5.
 * </ul>
 *
 * @param countsFrames the memmap counters are the number of frames
 * @param tablesFillFrames each table has a frame of its own, owned as page table
 * @param takesSharedPages a page of memmap goes with the first of its users
 * @param keptTables tables of this level and above stay when they are empty; 0 is a table of ptes
 */
public record ArchExceptions(
    boolean countsFrames, boolean tablesFillFrames, boolean takesSharedPages, int keptTables) {
  /** Those of a machine. */
  public static ArchExceptions of(MachineSpec spec) {
    boolean powerpc = spec.arch().equals(Profile.POWERPC);
    boolean arm64 = spec.arch().equals(Profile.ARM64);
    boolean large = spec.profile().pageSize() > 4096;
    boolean wholeLeaves = spec.config().structPageIsPowerOf2();
    boolean x86 = spec.arch().equals(Profile.X86_64);
    int kept = x86 ? spec.levels() - 2 : Integer.MAX_VALUE;
    return new ArchExceptions(!powerpc && wholeLeaves, !powerpc, arm64 && large, kept);
  }
}
