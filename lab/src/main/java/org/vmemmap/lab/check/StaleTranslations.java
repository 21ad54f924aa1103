// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.machine.BoltedMappings;
import org.vmemmap.machine.Cpu;
import org.vmemmap.machine.FrameOwner;
import org.vmemmap.machine.Machine;
import org.vmemmap.machine.Mmu;
import org.vmemmap.types.Owner;

/** What CPUs have cached although the page tables give something else by now. */
public final class StaleTranslations {
  /** Whose functions free pages of memmap before they flush: docs/FINDINGS.md, 39. */
  private static final Set<String> FREE_EARLY =
      Set.of(
          "arch/x86/mm/init_64.c", "arch/powerpc/mm/init_64.c",
          "arch/powerpc/mm/book3s64/radix_pgtable.c");

  private StaleTranslations() {}

  /** To be asked of an owner that a frame comes from or goes to while a CPU has it cached. */
  public static boolean mustNotLeadTo(FrameOwner owner) {
    return owner == Owner.BUDDY && !KernelFunction.anyIn(FREE_EARLY);
  }

  /** The translations of all CPUs that lead elsewhere than the page tables do, or nowhere. */
  public static List<String> of(LabKernel kernel) {
    Machine machine = kernel.mm().machine();
    List<String> stale = new ArrayList<>();
    for (Cpu cpu : machine.cpus()) {
      cpu.tlb()
          .forEach(
              (va, paddr, writable) -> {
                long now = now(machine, cpu, va);
                if (now != paddr) {
                  stale.add(
                      "frame=0x%x cpu%d va=0x%x leads to paddr=0x%x, the tables to 0x%x"
                          .formatted(
                              paddr >>> machine.format().pageShift(), cpu.number(), va, paddr, now));
                }
              });
    }
    return stale;
  }

  /** Where the tables lead; -1 for nowhere. */
  private static long now(Machine machine, Cpu cpu, long va) {
    BoltedMappings bolted = machine.bolted();
    if (bolted != null) {
      BoltedMappings.Block block = bolted.block(va);
      return block == null ? -1 : block.paddr() + (va - block.va());
    }
    Mmu.Entry entry = machine.mmu().walk(cpu.root(), va);
    boolean present = machine.format().present(entry.entry(), entry.level());
    return present ? machine.mmu().target(entry, va) : -1;
  }
}
