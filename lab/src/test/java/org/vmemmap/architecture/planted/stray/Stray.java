// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.architecture.planted.stray;

/** Planted: in no layer at all. */
final class Stray {}
