// SPDX-License-Identifier: GPL-2.0-only
/**
 * HugeTLB: the pool of hugepages, and what saves most of their memmap.
 *
 * <p>The idea: all struct pages of a hugepage but the first few say the same thing, "my head is
 * over there". So once a hugepage is in the pool, the pages that hold its tails are taken out of
 * the memmap's page table, and one page that is shared by all hugepages of the same order in the
 * same zone is mapped read-only in their place. Before such a hugepage may be taken apart again,
 * its own pages must come back.
 *
 * <pre>
 *   memmap of a 2 MiB hugepage          before               after
 *   page 0   head, tail 1 to 63         own frame            own frame (a copy)
 *   page 1   tails                      own frame            shared tail, read-only
 *   ...                                 ...                  ...
 *   page 7   tails                      own frame            shared tail, read-only
 * </pre>
 *
 * <p>The mechanism: {@link org.vmemmap.hugetlb.HugetlbVmemmap} splits, remaps and restores;
 * {@link org.vmemmap.hugetlb.Pagewalk} finds the entries for it. {@link
 * org.vmemmap.hugetlb.Hugetlb} is the pool at run time, {@link
 * org.vmemmap.hugetlb.HugetlbBootmem} what happens before there is a page allocator, {@link
 * org.vmemmap.hugetlb.HugetlbParams} the command line, {@link org.vmemmap.hugetlb.Hstates} the
 * variables that they share, {@link org.vmemmap.hugetlb.HugetlbCmaAreas} memory that is set aside
 * for gigantic pages, and {@link org.vmemmap.hugetlb.HugetlbSysfs} the files that an
 * administrator writes to. {@link org.vmemmap.hugetlb.HugetlbTask} stands for a process that uses
 * a hugepage.
 */
@NullMarked
package org.vmemmap.hugetlb;

import org.jspecify.annotations.NullMarked;
