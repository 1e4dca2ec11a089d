"""Table of structure types: coordinates of one primitive cell each.

A type has a line with its name, space-group number, centring, c/a and free parameters, then for
each role a line with the sites in conventional coordinates. "±" adds the inverted point. Cubic,
tetragonal and orthorhombic types have axes a, a, c; trigonal and hexagonal ones hexagonal axes.

Axial ratios and free parameters are those of a typical member of the type (R. W. G. Wyckoff,
Crystal Structures, 2nd ed., 1963-1971), rounded. Some are adjusted so that distances to the 24
nearest neighbors that are not equal by symmetry differ by more than one part in a thousand: the
shells are then the same for every reasonable tolerance.
"""

PROTOTYPE_TABLE = """
rocksalt 225 F 1
  A 0,0,0
  X 1/2,1/2,1/2
cscl 221 P 1
  A 0,0,0
  X 1/2,1/2,1/2
zincblende 216 F 1
  A 0,0,0
  X 1/4,1/4,1/4
wurtzite 186 P 1.611 z=0.3808
  A 1/3,2/3,0 2/3,1/3,1/2
  X 1/3,2/3,z 2/3,1/3,1/2+z
nias 194 P 1.55
  A 0,0,0 0,0,1/2
  X ±1/3,2/3,1/4
anti-nias 194 P 1.55
  A ±1/3,2/3,1/4
  X 0,0,0 0,0,1/2
litharge 129 P 1.27 z=0.235
  A ±1/4,1/4,z
  X ±1/4,3/4,0
cooperite 131 P 1.76
  A 0,1/2,0 1/2,0,1/2
  X ±0,0,1/4
fluorite 225 F 1
  A 0,0,0
  X ±1/4,1/4,1/4
rutile 136 P 0.65 x=0.305
  A 0,0,0 1/2,1/2,1/2
  X ±x,x,0 1/2+x,1/2-x,1/2 1/2-x,1/2+x,1/2
anatase 141 I 2.51 z=0.208
  A 0,0,0 0,1/2,1/4
  X ±0,0,z 0,1/2,1/4+z 0,1/2,1/4-z
cdi2 164 P 1.6 z=0.25
  A 0,0,0
  X ±1/3,2/3,z
cdcl2 166 R 4.6 z=0.253
  A 0,0,0
  X ±0,0,z
antifluorite 225 F 1
  A ±1/4,1/4,1/4
  X 0,0,0
anti-cdcl2 166 R 4.5 z=0.256
  A ±0,0,z
  X 0,0,0
cuprite 224 P 1
  A 1/4,1/4,1/4 3/4,3/4,1/4 3/4,1/4,3/4 1/4,3/4,3/4
  X 0,0,0 1/2,1/2,1/2
rhenium-trioxide 221 P 1
  A 0,0,0
  X 1/2,0,0 0,1/2,0 0,0,1/2
bif3 225 F 1
  A 0,0,0
  X 1/2,1/2,1/2 ±1/4,1/4,1/4
corundum 167 R 2.729 z=0.353 x=0.3056
  A ±0,0,z ±0,0,1/2+z
  X ±x,0,1/4 ±0,x,1/4 ±-x,-x,1/4
la2o3 164 P 1.556 z=0.245 w=0.645
  A ±1/3,2/3,z
  X ±1/3,2/3,w 0,0,0
perovskite 221 P 1
  A 0,0,0
  B 1/2,1/2,1/2
  X 1/2,1/2,0 1/2,0,1/2 0,1/2,1/2
hexagonal-perovskite 194 P 0.84 x=0.152
  A ±1/3,2/3,3/4
  B 0,0,0 0,0,1/2
  X ±x,2x,1/4 ±-2x,-x,1/4 ±x,-x,1/4
ilmenite 148 R 2.77 u=0.355 v=0.1465 x=0.3174 y=0.0233 z=0.245
  A ±0,0,u
  B ±0,0,v
  X ±x,y,z ±-y,x-y,z ±y-x,-x,z
lithium-niobate 161 R 2.69 u=0.2829 x=0.0492 y=0.3446 z=0.0647
  A 0,0,u 0,0,1/2+u
  B 0,0,0 0,0,1/2
  X x,y,z -y,x-y,z y-x,-x,z -y,-x,1/2+z y-x,y,1/2+z x,x-y,1/2+z
delafossite 166 R 5.7 z=0.108
  A 0,0,0
  B 0,0,1/2
  X ±0,0,z
layered-rocksalt 166 R 5.15 z=0.26
  A 0,0,1/2
  B 0,0,0
  X ±0,0,z
tetragonal-rocksalt 141 I 2.14 z=0.241
  A 0,0,0 0,1/2,1/4
  B 0,0,1/2 0,1/2,3/4
  X ±0,0,z 0,1/2,1/4+z 0,1/2,1/4-z
chalcopyrite 122 I 1.97 x=0.24
  A 0,0,0 0,1/2,1/4
  B 0,0,1/2 0,1/2,3/4
  X x,1/4,1/8 -x,3/4,1/8 3/4,x,7/8 1/4,-x,7/8
half-heusler 216 F 1
  A 1/4,1/4,1/4
  B 3/4,3/4,3/4
  X 0,0,0
spinel 227 F 1 x=0.2625
  A ±1/8,1/8,1/8
  B 1/2,1/2,1/2 1/2,1/4,1/4 1/4,1/2,1/4 1/4,1/4,1/2
  X ±x,x,x ±x,1/4-x,1/4-x ±1/4-x,x,1/4-x ±1/4-x,1/4-x,x
inverse-spinel 74 F 1 x=0.2575
  A 1/2,1/2,1/2 1/2,1/4,1/4
  B ±1/8,1/8,1/8 1/4,1/2,1/4 1/4,1/4,1/2
  X ±x,x,x ±x,1/4-x,1/4-x ±1/4-x,x,1/4-x ±1/4-x,1/4-x,x
k2nif4 139 I 3.25 z=0.3527 w=0.1524
  A ±0,0,z
  B 0,0,0
  X 1/2,0,0 0,1/2,0 ±0,0,w
scheelite 88 I 2.17 x=0.2413 y=0.1511 z=0.0861
  A 0,0,1/2 0,1/2,3/4
  B 0,0,0 0,1/2,1/4
  X x,y,z -x,-y,z y,-x,-z -y,x,-z -y,1/2+x,1/4+z y,1/2-x,1/4+z -x,1/2-y,1/4-z x,1/2+y,1/4-z
zircon 141 I 0.9 y=0.184 z=0.32
  A 0,0,0 0,1/2,1/4
  B 0,0,1/2 0,1/2,3/4
  X 0,y,z 0,-y,z y,0,-z -y,0,-z y,1/2,1/4+z -y,1/2,1/4+z 0,1/2+y,1/4-z 0,1/2-y,1/4-z
trirutile 136 P 1.978 z=0.3317 u=0.3072 x=0.2976 w=0.324
  A 0,0,0 1/2,1/2,1/2
  B ±0,0,z 1/2,1/2,1/2+z 1/2,1/2,1/2-z
  X ±u,u,0 1/2+u,1/2-u,1/2 1/2-u,1/2+u,1/2 ±x,x,w ±x,x,-w
    1/2-x,1/2+x,1/2+w 1/2+x,1/2-x,1/2+w 1/2-x,1/2+x,1/2-w 1/2+x,1/2-x,1/2-w
k2ptcl6 225 F 1 x=0.24
  A ±1/4,1/4,1/4
  B 0,0,0
  X ±x,0,0 ±0,x,0 ±0,0,x
elpasolite 225 F 1 x=0.262
  A ±1/4,1/4,1/4
  B 0,0,0
  C 1/2,1/2,1/2
  X ±x,0,0 ±0,x,0 ±0,0,x
ordered-fluorite 216 F 1
  A 0,0,0
  X 1/4,1/4,1/4
  Y 3/4,3/4,3/4
matlockite 129 P 1.77 z=0.205 w=0.65
  A ±1/4,1/4,z
  X ±3/4,1/4,0
  Y ±1/4,1/4,w
antiperovskite 221 P 1
  A 1/2,1/2,0 1/2,0,1/2 0,1/2,1/2
  X 1/2,1/2,1/2
  Y 0,0,0
"""
"""Forty structure types, parsed by `prototypes.prototypes`."""
