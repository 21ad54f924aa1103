// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.architecture.planted.pagealloc;

import java.lang.invoke.VarHandle;

/** Planted: memory order outside the machine. */
final class UsesVarHandle {
  void order() {
    VarHandle.fullFence();
  }
}
