// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.architecture.planted.arch.powerpc;

/** Well placed. */
public final class Radix {}
