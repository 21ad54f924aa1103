// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.dax;

import java.util.ArrayList;
import java.util.List;
import org.vmemmap.types.Folio;
import org.vmemmap.types.Kernel;

/**
 * {@code struct dax_device}: what a process opens. It is alive while a driver is bound; faults of a
 * dead one are refused.
 */
@Kernel(
    file = "drivers/dax/super.c",
    symbol = "struct dax_device",
    fidelity = Kernel.Fidelity.CUSTOM,
    why = "The inode and its tree of mappings are a list of the folios that processes have mapped.")
final class DaxDevice {
  private final long mapping;
  private final List<Mapped> mapped = new ArrayList<>();
  private boolean alive = true;

  /** One entry of a process's page table: {@code pages} pages of {@code folio}. */
  record Mapped(Folio folio, long pages) {}

  /** @param mapping address of the inode's address_space, for {@code folio->mapping} */
  DaxDevice(long mapping) {
    this.mapping = mapping;
  }

  /** {@code dax_inode(dax_dev)->i_mapping}. */
  long mapping() {
    return mapping;
  }

  /** What processes have mapped, in the order of the faults. */
  List<Mapped> mapped() {
    return mapped;
  }

  /** {@code dax_alive()}. */
  @Kernel(file = "drivers/dax/super.c", symbol = "dax_alive")
  boolean daxAlive() {
    return alive;
  }

  /** {@code kill_dax()}. */
  @Kernel(file = "drivers/dax/super.c", symbol = "kill_dax")
  void killDax() {
    alive = false;
  }

  /** {@code run_dax()}. */
  @Kernel(file = "drivers/dax/super.c", symbol = "run_dax")
  void runDax() {
    alive = true;
  }
}
