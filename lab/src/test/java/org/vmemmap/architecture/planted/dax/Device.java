// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.architecture.planted.dax;

/** Well placed. */
public final class Device {}
