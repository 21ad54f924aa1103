// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.sparse;

import java.util.BitSet;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Mm;

/**
 * Who is told of memory that comes and goes, and may refuse.
 *
 * <pre>
 *   MEM_GOING_ONLINE, MEM_GOING_OFFLINE   the kernel's own module for that purpose, "memory"
 *   NODE_ADDING_FIRST_MEMORY              slub, which makes its caches on the node
 * </pre>
 *
 * <p>Whether they refuse is the machine's to say (fault injection): the code is -ENOMEM.
 */
@Kernel(
    file = "lib/memory-notifier-error-inject.c",
    symbol = "memory_notifier_err_inject",
    fidelity = Kernel.Fidelity.CUSTOM,
    why = "A file in debugfs holds the code there; here each call is a step that may fail.")
public final class NotifierErrInject {
  private final Mm mm;
  private final BitSet cachesOfNodes = new BitSet();

  /** Hears of nothing yet. */
  public NotifierErrInject(Mm mm) {
    this.mm = mm;
  }

  /** Registers both with {@code online}; the nodes of boot have their caches. */
  @Kernel(file = "lib/memory-notifier-error-inject.c", symbol = "err_inject_init")
  public void errInjectInit(MemoryOnline online) {
    online.nodeStatesMemory().forEach(cachesOfNodes::set);
    online.nodeChain().register(this::slabMemoryCallback);
    online.memoryChain().register(this::notifierErrInjectCallback);
  }

  @Kernel(
      file = "lib/notifier-error-inject.c",
      symbol = "notifier_err_inject_callback",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "The machine says when it refuses; the code is always -ENOMEM.")
  private int notifierErrInjectCallback(int action, MemoryOnline.MemoryNotify arg) {
    boolean asks =
        action == MemoryBlock.MEM_GOING_ONLINE || action == MemoryBlock.MEM_GOING_OFFLINE;
    int err = asks && mm.mayFail("notifier_err_inject_callback") ? -Errno.ENOMEM : 0;
    return NotifierChain.notifierFromErrno(err);
  }

  /** The caches of a node stay when its memory goes. */
  @Kernel(
      file = "mm/slub.c",
      symbol = "slab_memory_callback",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "All caches of a node are one object that takes no memory.")
  private int slabMemoryCallback(int action, MemoryOnline.NodeNotify arg) {
    boolean first =
        action == MemoryOnline.NODE_ADDING_FIRST_MEMORY && !cachesOfNodes.get(arg.nid());
    if (first && mm.mayFail("slab_mem_going_online_callback")) {
      return NotifierChain.notifierFromErrno(-Errno.ENOMEM);
    }
    if (first) {
      cachesOfNodes.set(arg.nid());
    }
    return NotifierChain.NOTIFY_OK;
  }
}
