// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.arch.x86;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Mm;

/**
 * {@code pgd_list}: the top-level tables of all processes, newest first. init_mm's own is not in
 * it. Holders of {@code pgd_lock} change and walk it.
 */
@Kernel(
    file = "arch/x86/mm/fault.c",
    symbol = "pgd_list",
    fidelity = Kernel.Fidelity.CUSTOM,
    why = "A Java list with its lock; the kernel chains the ptdesc of each table.")
public final class PgdList {
  private final Mm mm;
  private final Deque<Long> roots = new ArrayDeque<>();

  PgdList(Mm mm) {
    this.mm = mm;
  }

  /** {@code spin_lock(&pgd_lock)}: another CPU may run first. */
  @Kernel(file = "arch/x86/mm/fault.c", symbol = "pgd_lock")
  void lock() {
    mm.machine().lock("pgd_lock", 0);
  }

  /** {@code spin_unlock(&pgd_lock)}. */
  @Kernel(file = "arch/x86/mm/fault.c", symbol = "pgd_lock")
  void unlock() {
    mm.machine().unlock("pgd_lock", 0);
  }

  /** {@code pgd_list_add()}: {@code pgd} is the linear address of the table. */
  @Kernel(file = "arch/x86/mm/pgtable.c", symbol = "pgd_list_add")
  void pgdListAdd(long pgd) {
    mm.machine().yields().touched("pgd_list");
    roots.addFirst(pgd);
  }

  /** {@code pgd_list_del()}. */
  @Kernel(file = "arch/x86/mm/pgtable.c", symbol = "pgd_list_del")
  void pgdListDel(long pgd) {
    mm.machine().yields().touched("pgd_list");
    roots.remove(pgd);
  }

  /** Linear addresses of all tables, newest first. */
  public List<Long> roots() {
    mm.machine().yields().touched("pgd_list");
    return new ArrayList<>(roots);
  }
}
