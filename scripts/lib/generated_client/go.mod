module try

go 1.19

require example.com/bcrl/client/bcrl v0.0.0

replace example.com/bcrl/client/bcrl => ../client
