// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cases;

import org.vmemmap.arch.x86.X86Geometry;
import org.vmemmap.arch.x86.X86PageTable;
import org.vmemmap.machine.Machine;
import org.vmemmap.types.Mm;
import org.vmemmap.types.MmConfig;
import org.vmemmap.types.Owner;

/** The memory manager's headers on a machine that is not booted. */
final class MadeMm {
  private MadeMm() {}

  /** As the captured x86-64 kernels are built, on 64 MiB. */
  static Mm x86() {
    X86Geometry geometry = X86Geometry.fourLevel();
    X86PageTable format = new X86PageTable(geometry);
    Machine machine = new Machine(64L << 20, format, geometry.pageOffset(), Owner.values(), 1);
    Mm.Image image = new Mm.Image(geometry.vmemmapBase(), 0x100000, 0x101000, 0x10000);
    return new Mm(machine, format, MmConfig.debianX86(), image);
  }
}
