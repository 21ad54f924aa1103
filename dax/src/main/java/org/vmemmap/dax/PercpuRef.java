// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.dax;

import org.vmemmap.machine.MachineFault;
import org.vmemmap.types.DevPagemap;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Mm;

/**
 * The reference count of a {@link DevPagemap}. It starts at one; {@link #percpuRefKill} drops that
 * one and forbids new ones, and the owner then waits until the count is zero.
 */
@Kernel(
    file = "include/linux/percpu-refcount.h",
    symbol = "struct percpu_ref",
    fidelity = Kernel.Fidelity.CUSTOM,
    why = "One number in place of a number for each CPU: only its sum can be observed.")
final class PercpuRef {
  private final Mm mm;

  PercpuRef(Mm mm) {
    this.mm = mm;
  }

  /** {@code percpu_ref_init()}: 0 or -ENOMEM. */
  @Kernel(file = "lib/percpu-refcount.c", symbol = "percpu_ref_init")
  int percpuRefInit(DevPagemap pgmap) {
    if (mm.mayFail("percpu_ref_init")) {
      return -Errno.ENOMEM;
    }
    pgmap.ref = 1;
    pgmap.refDead = false;
    return 0;
  }

  /** {@code percpu_ref_exit()}. */
  @Kernel(file = "lib/percpu-refcount.c", symbol = "percpu_ref_exit")
  void percpuRefExit(DevPagemap pgmap) {
    pgmap.ref = 0;
    pgmap.refDead = true;
  }

  /** {@code percpu_ref_kill()}: no new references by pfn from now on. */
  @Kernel(file = "lib/percpu-refcount.c", symbol = "percpu_ref_kill_and_confirm")
  void percpuRefKill(DevPagemap pgmap) {
    mm.printk()
        .warnOnOnce(pgmap.refDead, "percpu_ref_kill_and_confirm: called more than once");
    pgmap.refDead = true;
    percpuRefPutMany(pgmap, 1);
  }

  /** {@code percpu_ref_get_many()}. */
  @Kernel(file = "include/linux/percpu-refcount.h", symbol = "percpu_ref_get_many")
  void percpuRefGetMany(DevPagemap pgmap, long nr) {
    add(pgmap, nr);
  }

  /** {@code percpu_ref_put_many()}. */
  @Kernel(file = "include/linux/percpu-refcount.h", symbol = "percpu_ref_put_many")
  void percpuRefPutMany(DevPagemap pgmap, long nr) {
    add(pgmap, -nr);
    mm.printk()
        .warnOnOnce(pgmap.ref < 0, "percpu_ref_switch_to_atomic_rcu: percpu ref <= 0 after switch");
  }

  /** {@code percpu_ref_tryget_many()}: false when the count has reached zero. */
  @Kernel(file = "include/linux/percpu-refcount.h", symbol = "percpu_ref_tryget_many")
  boolean percpuRefTrygetMany(DevPagemap pgmap, long nr) {
    if (pgmap.ref <= 0) {
      return false;
    }
    add(pgmap, nr);
    return true;
  }

  /** {@code percpu_ref_tryget_live_rcu()}: false after {@link #percpuRefKill}. */
  @Kernel(file = "include/linux/percpu-refcount.h", symbol = "percpu_ref_tryget_live_rcu")
  boolean percpuRefTrygetLive(DevPagemap pgmap) {
    return !pgmap.refDead && percpuRefTrygetMany(pgmap, 1);
  }

  /** {@code wait_for_completion(&pgmap->done)}: a kernel would sleep for ever here. */
  @Kernel(
      file = "kernel/sched/completion.c",
      symbol = "wait_for_completion",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "Nobody else runs who could drop the references, so waiting is reported as a fault.")
  void waitForCompletion(DevPagemap pgmap) {
    if (pgmap.ref > 0) {
      throw new MachineFault("wait-for-ever", "pgmap", pgmap.va(), "ref", pgmap.ref);
    }
  }

  private void add(DevPagemap pgmap, long nr) {
    pgmap.ref = mm.machine().add("pgmap->ref", pgmap.ref, nr);
  }
}
