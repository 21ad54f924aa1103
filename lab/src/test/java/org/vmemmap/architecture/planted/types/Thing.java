// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.architecture.planted.types;

import org.vmemmap.architecture.planted.machine.Frame;

/** Well placed. */
public final class Thing {
  /** A frame. */
  public Frame frame() {
    return new Frame();
  }
}
